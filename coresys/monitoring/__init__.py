"""What happens and what it costs: counters, gauges, distributions, samples of the process, alarms, and exports."""

from coresys.monitoring.alarms import Alarms, Threshold
from coresys.monitoring.counters import OTHERS, Counters, Gauges, SeriesNames
from coresys.monitoring.export import CONTENT_TYPE, log_snapshot, openmetrics
from coresys.monitoring.growth import judge_growth
from coresys.monitoring.histogram import RELATIVE_ERROR, Histogram, merged, quantile
from coresys.monitoring.manager import MonitoringManager, process_sources
from coresys.monitoring.samplers import Sampler, Source
from coresys.monitoring.series import Series
from coresys.monitoring.sources import (
    DescriptorSource,
    FragmentationSource,
    GrowthSource,
    LockSource,
    MemorySource,
    PoolSource,
    ProcessSource,
    ThreadSource,
)

__all__ = [
    "CONTENT_TYPE",
    "OTHERS",
    "RELATIVE_ERROR",
    "Alarms",
    "Counters",
    "DescriptorSource",
    "FragmentationSource",
    "Gauges",
    "GrowthSource",
    "Histogram",
    "LockSource",
    "MemorySource",
    "MonitoringManager",
    "PoolSource",
    "ProcessSource",
    "Sampler",
    "Series",
    "SeriesNames",
    "Source",
    "ThreadSource",
    "Threshold",
    "judge_growth",
    "log_snapshot",
    "merged",
    "openmetrics",
    "process_sources",
    "quantile",
]
