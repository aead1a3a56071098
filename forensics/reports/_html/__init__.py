"""What report.html is made of: queries to cells, cells to a page. `page.write` is all that is used from outside."""
