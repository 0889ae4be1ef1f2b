"""Incidents: did something dangerous happen in this video, when and what?"""
