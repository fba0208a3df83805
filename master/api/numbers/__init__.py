"""The fleet's numbers, for Prometheus: what is counted (``counted``), what is so now (``now``), how it is shown
(``shown``). At most 200 series for a fleet of 20 machines, whatever it does."""
