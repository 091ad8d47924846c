//! The names of parameters:
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>.

use crate::error::ApiError;
use crate::world::ssm::plain_name;

const MAX_NAME: usize = 1011;
const MAX_LEVELS: usize = 15;

/// Refuses a name that is for AWS alone to write and to delete; everybody may read it.
pub(crate) fn check_reserved(name: &str) -> Result<(), ApiError> {
    if name.trim_start_matches('/').to_ascii_lowercase().starts_with("aws") {
        return Err(ApiError::new("AccessDeniedException", format!("No access to reserved parameter name: {name}.")));
    }
    Ok(())
}

/// Refuses what cannot be the name of a new parameter.
pub(crate) fn check_new(name: &str) -> Result<(), ApiError> {
    check_reserved(name)?;
    check(name)?;
    if name.split('/').count() > MAX_LEVELS + 1 {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            format!("A hierarchy can have at most {MAX_LEVELS} levels."),
        ));
    }
    Ok(())
}

/// Refuses what can name no parameter, be it a name, a name with a version or label, or an ARN.
pub(crate) fn check_named(named: &str) -> Result<(), ApiError> {
    let plain = plain_name(named);
    let (name, selector) = plain.split_once(':').unwrap_or((&plain, ""));
    if selector.contains(':') {
        return Err(ApiError::validation(
            "Invalid parameter name. Please use correct syntax for referencing a version/label \
             <name>:<version/label>",
        ));
    }
    check(name)
}

/// Refuses what can be the name of no parameter; an ARN is none, and neither is a name with a version or label.
pub(crate) fn check(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    let reserved = name.trim_start_matches('/').to_ascii_lowercase().starts_with("ssm");
    let rootless = name.contains('/') && !name.starts_with('/');
    let has_gap = name.is_empty() || name.ends_with('/') || name.contains("//");
    let long = name.len() > MAX_NAME;
    if has_gap || long || reserved || rootless || !name.chars().all(allowed) {
        return Err(ApiError::validation(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the \
             following 3 symbols .-_",
        ));
    }
    Ok(())
}
