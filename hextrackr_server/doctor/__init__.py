"""The command `doctor`: examines a deployment from outside, through its reverse proxies."""
