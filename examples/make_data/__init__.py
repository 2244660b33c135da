"""The files of the examples, made of formulas and a seed: nobody measured, drew or suffered them.

Run as ``python -m make_data`` in this folder's parent. Each module shows at once how files of its
format are written by the library that most people write them with.
"""
