"""Everything that turns a text into a dynamic scene graph, and measures it. Imports neither dysenvdm nor serving."""
