"""IBFP: instance-based feature pyramid, centre head, and online updating, as a plugin of trackcli.

Source: Pi et al. 2021, *Instance-based Feature Pyramid for Visual Object Tracking*.
"""
