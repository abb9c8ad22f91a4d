/// The version of Furl, as artifacts and reports say it.
public let furlVersion = "0.1.0"
