from .checking import check_model_folder as check_model_folder
from .record import Version as Version
from .store import VersionStore as VersionStore
from .writing import write_version as write_version
