"""Claims: whether what somebody says of cells of tables holds in the results of a suite.

=====================================  ==========================================================
``resolution.resolve(claim, suite)``   a claim -> pairs of cells of the suite
``needs.restricted(suite, names)``     those -> the part of the suite that fills them
``costs.remaining(...)``               what it takes to run what is missing of that
``evidence.find(...)``                 pairs and collected tables -> what was measured
``scorecard.scorecard(frames)``        all claims of a suite -> a verdict each
``text.listed(rows, suite)``           those in a terminal
=====================================  ==========================================================
"""
