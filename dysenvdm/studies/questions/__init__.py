"""The paper's open questions as experiments on the Stage world: recipes/studies, ``dysenvdm study run``."""
