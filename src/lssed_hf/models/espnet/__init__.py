"""An ESPnet-style speech recogniser (hybrid CTC/attention) for transformers. The modules carry no other import of this
package, so a saved model folder can hold copies of them and load with `trust_remote_code=True` without the package."""
