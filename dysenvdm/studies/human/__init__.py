"""Studies with human raters: making the page they rate on, and making figures of what they answered."""
