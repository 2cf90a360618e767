//! Write-once registers.
