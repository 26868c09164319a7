"""How fast is this machine, and what would a package need on the organiser's?"""
