"""Attacks on a running server, while another client measures how long its events take."""
