//! How many files and sockets the process may have open.

/// The soft limit (`ulimit -n`); none where the system does not say.
pub(crate) fn limit() -> Option<usize> {
    soft(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// Finds it in the kernel's table (proc_pid_limits(5)).
fn soft(table: &str) -> Option<usize> {
    let mut rows = table.lines();
    let row = rows.find_map(|row| row.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::soft;

    #[test]
    fn the_soft_limit_is_the_first() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             96365                96365                processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(soft(table), Some(1024));
        let unlimited =
            "Max open files            unlimited            unlimited            files\n";
        assert_eq!(soft(unlimited), None);
        assert_eq!(soft(""), None);
    }
}
