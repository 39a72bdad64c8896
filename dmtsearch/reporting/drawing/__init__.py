"""Figures of a report: each draws what it is given, and computes nothing."""
