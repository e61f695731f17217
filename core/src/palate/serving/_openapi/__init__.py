"""What the routes take and answer, as an OpenAPI 3.1 document made from signatures alone."""
