"""Where on Earth each line and pixel of a datastrip looks, and back.

``SensorModel`` in ``model`` is the door; ``docs/processors.md`` has frames, units, signs and measured errors.
"""
