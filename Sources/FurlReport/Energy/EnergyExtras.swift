import FurlBase

/// What is only reported when somebody asks for it: a modelled figure where nothing can be measured, and carbon.
package struct EnergyExtras: Sendable {
  /// Grams of CO2 equivalents for a kilowatt-hour, with the year of the figure.
  package struct CarbonFactor: Sendable, Hashable {
    package let gramsPerKilowattHour: Double
    package let year: Int

    package init(gramsPerKilowattHour: Double, year: Int) {
      self.gramsPerKilowattHour = gramsPerKilowattHour
      self.year = year
    }

    /// Reads `268:2023`.
    package init?(_ text: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let grams = Double(parts[0]), grams.isFinite, (0...10_000).contains(grams),
        let year = Int(parts[1]), (1990...2100).contains(year)
      else { return nil }
      self.init(gramsPerKilowattHour: grams, year: year)
    }

    func json(joules: Double, tokens: Int) -> JSON {
      let grams = joules / 3.6e6 * gramsPerKilowattHour
      return [
        "grams": .number(grams), "grams_per_million_tokens": .number(grams / Double(max(1, tokens)) * 1e6),
        "grams_per_kwh": .number(gramsPerKilowattHour), "year": .integer(year),
      ]
    }
  }

  /// Watts of the processor at full load, as its maker states them.
  package var thermalDesignPower: Double?
  package var carbon: CarbonFactor?

  package init(thermalDesignPower: Double? = nil, carbon: CarbonFactor? = nil) {
    self.thermalDesignPower = thermalDesignPower
    self.carbon = carbon
  }

  /// Members for the object `energy`. The model is the processor's power times the share of its cores' time that the
  /// process took, as CodeCarbon's process mode has it.
  ///
  /// - Parameters:
  ///   - cpuSecondsPerToken: of all threads.
  ///   - cores: of the machine.
  func members(_ reading: EnergyReading, cpuSecondsPerToken: Double?, cores: Int) -> [JSON.Member] {
    var members: [JSON.Member] = []
    if let thermalDesignPower, let seconds = cpuSecondsPerToken, cores > 0 {
      let joules = thermalDesignPower * seconds / Double(cores)
      var modelled: [JSON.Member] = [
        .init("method", "tdp-model"), .init("tdp_watts", .number(thermalDesignPower)), .init("cores", .integer(cores)),
        .init("cpu_seconds_per_token", .number(seconds)), .init("joules_per_token", .number(joules)),
      ]
      if let carbon { modelled.append(.init("carbon", carbon.json(joules: joules, tokens: 1))) }
      members.append(.init("modelled", .object(modelled)))
    }
    if let carbon, let joules = reading.joules {
      members.append(.init("carbon", carbon.json(joules: joules, tokens: reading.tokens)))
    }
    return members
  }
}
