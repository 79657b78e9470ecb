"""A test for each row of the contract, named by its number."""
