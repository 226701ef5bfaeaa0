"""One question per patch of moto, named like the patch: a module for its module, a function for it.

Nothing here asserts: `test_patches.py` knows which answer is moto's and which is AWS's.
"""
