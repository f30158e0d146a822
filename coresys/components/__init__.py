"""Components of a service: started and stopped in the order of what they need, and talking through interfaces."""

from coresys.components.hooks import ComponentChange
from coresys.components.manager import ComponentManager
from coresys.components.registry import Registry
from coresys.components.view import ComponentView

__all__ = ["ComponentChange", "ComponentManager", "ComponentView", "Registry"]
