"""How the report looks: HTML pieces, charts as inline SVG, pictures as data. No request leaves the page."""
