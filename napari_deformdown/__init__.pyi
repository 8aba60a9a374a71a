from .batch import find_slides as find_slides
from .batch import make_job as make_job
from .batch import run_batch as run_batch
from .corrections import Corrections as Corrections
from .corrections import corrected as corrected
from .evaluation import compare as compare
from .evaluation import evaluate as evaluate
from .evaluation import sweep as sweep
from .finetuning import finetune as finetune
from .imaging import Pyramid as Pyramid
from .imaging import open_image as open_image
from .masks import export_mask as export_mask
from .masks import open_mask as open_mask
from .network import DeformedSegmenter as DeformedSegmenter
from .network import Segmentation as Segmentation
from .network import list_models as list_models
from .network import load_model as load_model
from .network import save_model as save_model
from .network import segment as segment
from .training import load_plan as load_plan
from .training import run_plan as run_plan

__version__: str
