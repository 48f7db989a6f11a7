"""Whether a GPU computes what a processor does, and what a training step costs there, in minutes.

Every part runs in a process of its own: an error that leaves a GPU unusable for a process ends
one part and no other. A processor tries all of it out, on little.
"""
