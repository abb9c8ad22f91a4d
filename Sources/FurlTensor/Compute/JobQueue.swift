import FurlBase

/// Jobs that bring about other jobs, done by all threads of a pool until none is left.
///
/// A free thread takes the most urgent job, of equals the one that was added first. What is worked on at once depends
/// on time; results must not.
package final class JobQueue: @unchecked Sendable {
  /// A body gets the number of the thread that it runs on, so that it can use that thread's buffers.
  package typealias Job = @Sendable (_ worker: Int) -> Void

  /// In this order jobs are taken: what many other jobs wait for, then what frees memory before what takes some.
  package enum Urgency: Int, CaseIterable, Sendable {
    case first, finish, advance, begin, last
  }

  /// Jobs in the order in which they were added. One that was taken is let go at once, with the memory that it holds,
  /// which a slice of an array would keep.
  private struct Line {
    private var jobs: [Job?] = []
    private var first = 0

    var isEmpty: Bool { first == jobs.count }

    mutating func append(_ job: @escaping Job) { jobs.append(job) }

    mutating func popFirst() -> Job? {
      guard !isEmpty else { return nil }
      defer {
        jobs[first] = nil
        first += 1
        if first == jobs.count || first >= 1024 {
          jobs.removeFirst(first)
          first = 0
        }
      }
      return jobs[first]
    }
  }

  private let condition = Condition()
  private var waiting: [Line] = Urgency.allCases.map { _ in Line() }
  private var running = 0

  package init() {}

  /// Adds a job; jobs may add others.
  package func add(_ urgency: Urgency, _ job: @escaping Job) {
    condition.withLock {
      waiting[urgency.rawValue].append(job)
      condition.signal()
    }
  }

  /// Does all jobs, and those that they add.
  ///
  /// - Parameter tick: called on the calling thread between jobs, and now and then while it has none.
  package func run(on pool: WorkerPool, tick: () -> Void = {}) {
    pool.run { part, _ in
      while true {
        if part == 0 { tick() }
        switch take(isPatient: part != 0) {
        case .job(let job):
          job(part)
          condition.withLock {
            running -= 1
            if running == 0 { condition.broadcast() }
          }
        case .nothingYet: continue
        case .end: return
        }
      }
    }
  }

  private enum TakenJob {
    case job(Job), nothingYet, end
  }

  private func take(isPatient: Bool) -> TakenJob {
    condition.withLock {
      while true {
        for urgency in waiting.indices {
          guard let job = waiting[urgency].popFirst() else { continue }
          running += 1
          return .job(job)
        }
        // Nobody is left who could add a job.
        if running == 0 { return .end }
        if isPatient {
          condition.wait()
        } else {
          _ = condition.wait(until: .now + .milliseconds(100))
          if waiting.allSatisfy(\.isEmpty), running > 0 { return .nothingYet }
        }
      }
    }
  }
}
