import FurlEvaluate
import Testing

/// Everything that starts processes. One at a time: the tests count descriptors and processes.
@Suite(.serialized, .enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
struct ExecutionTests {}
