"""WHICH schedule next, and WHERE its stages run. Importing it pulls in neither ray nor torch."""
