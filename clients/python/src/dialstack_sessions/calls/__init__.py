"""The table of calls: for each the function, its arguments and what becomes of its rows. Nothing here is sent; the two
clients only run what these functions describe, so a call is written once for both."""
