"""Imports heavy modules inside the test: kept, but once."""


def test_imports():
    import ctypes
    import email.mime.multipart
    import http.client
    import multiprocessing
    import sqlite3
    import xml.dom.minidom

    assert all((ctypes, email, http, multiprocessing, sqlite3, xml))
