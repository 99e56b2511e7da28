def derived_entry(kind, spelling): return None
def derived_entries(kind): return ()
