"""Loading script of LSSED for `datasets` before version 4, which still runs scripts.

    load_dataset("dataset_script/lssed", data_dir="LSSED", trust_remote_code=True)

The reader comes from the package (`pip install lssed-hf`), of which it needs neither torch nor transformers. From
version 4 on, `import lssed_hf` and `load_dataset("lssed", data_dir="LSSED")` do the same.
"""

from lssed_hf.corpora.lssed import Lssed as _Lssed


class Lssed(_Lssed):
    """LSSED (Fan et al., ICASSP 2021), under an academic EULA that forbids redistribution."""
