"""How a report looks: text, table, chart."""
