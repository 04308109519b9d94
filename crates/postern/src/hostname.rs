//! What this machine, or pod, calls itself.

/// The name of the host, if it has one: in a pod, the pod's.
pub(crate) fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
