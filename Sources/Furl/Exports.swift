// What a program that compresses meets, and all that one that runs models does.
@_exported public import FurlRuntime
@_exported public import FurlTransform
