<%-- Synthetic sample: an empty page. --%>
