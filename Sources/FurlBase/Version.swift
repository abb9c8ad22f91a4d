/// The version of Furl, as artifacts and reports say it.
package let furlVersion = "0.1.0"
