"""The page of numbers: the table and the cost-accuracy curve."""
