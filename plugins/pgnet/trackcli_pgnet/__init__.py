"""PG-Net: pixel to global matching, multiple losses, and long-term search, as a plugin of trackcli.

Source: Liao et al. 2020, *PG-Net: Pixel to Global Matching Network for Visual Tracking*.
"""
