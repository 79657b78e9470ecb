"""CISA's catalog of known exploited vulnerabilities: fetching, storing and matching."""
