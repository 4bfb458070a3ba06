"""A course at a glance, from the results folder of `dojo batch`: a page for the instructor, tables, gradebooks."""
