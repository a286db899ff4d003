"""Test data: `texts` is shared, the other files each fill and count one kind of store."""
