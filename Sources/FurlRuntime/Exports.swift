// The values that a program meets in what this module returns: errors, sampling, generated texts, artifacts. What else
// these modules have is `package`, and stays out of sight.
@_exported public import FurlArtifact
@_exported public import FurlBase
@_exported public import FurlModel
