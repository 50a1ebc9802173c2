"""Things of a cloud as the XML of Deltacloud; one function a kind of thing.

A function returns the lines of one element, indented by two blanks as in a list, each line with
its end. Attributes stand in alphabetical order in single quotes; what is absent is left out.
"""
