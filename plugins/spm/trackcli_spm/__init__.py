"""SPM-Tracker: a coarse and a fine matching stage, in series and in parallel, as a plugin of trackcli.

Source: Wang et al. 2019, *SPM-Tracker: Series-Parallel Matching for Real-Time Visual Object Tracking*.
"""
