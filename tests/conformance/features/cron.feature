Feature: Schedules of a calendar
  `cron` has five fields, in UTC. The clock is the runtime's own: it goes on from what it was last said to say.

  Scenario Outline: At the minutes of a calendar
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: cron, version: '1.0.0' }
    schedule: { cron: '<cron>' }
    do:
      - show: { set: { at: '${ $workflow.startedAt.iso8601[0:16] }' } }
    """
    And the clock says '<before>:40Z'
    When the workflow is scheduled
    And the clock says '<due>:00Z'
    Then the workflow should run 1 times
    And every execution should complete with output:
    """yaml
    at: '<due>'
    """

    Examples:
      | why                      | cron               | before           | due              |
      | every minute             | * * * * *          | 2026-03-01T11:58 | 2026-03-01T11:59 |
      | every quarter            | */15 * * * *       | 2026-03-01T11:59 | 2026-03-01T12:00 |
      | one of a list            | 5,10 1-3 * * *     | 2026-03-01T02:09 | 2026-03-01T02:10 |
      | an hour of some days     | 30 9 * * MON-FRI   | 2026-03-02T09:29 | 2026-03-02T09:30 |
      | either day               | 0 8 13 * 5         | 2026-03-06T07:59 | 2026-03-06T08:00 |
      | the turn of a year       | 0 0 1 JAN *        | 2026-12-31T23:59 | 2027-01-01T00:00 |
      | a day that leaps         | 0 0 29 2 *         | 2028-02-28T23:59 | 2028-02-29T00:00 |

  Scenario: Not at other minutes
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: cron, version: '1.0.0' }
    schedule: { cron: '30 9 * * TUE' }
    do:
      - show: { set: { a: 1 } }
    """
    And the clock says '2026-03-02T09:29:40Z'
    When the workflow is scheduled
    And the clock says '2026-03-02T09:30:00Z'
    Then the workflow should run 0 times

  Scenario: What was missed is made up for by one, with the latest
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: cron, version: '1.0.0' }
    schedule: { cron: '*/10 * * * *' }
    do:
      - show: { set: { at: '${ $workflow.startedAt.iso8601[0:16] }' } }
    """
    And the clock says '2026-03-01T11:59:40Z'
    When the workflow is scheduled
    And the clock says '2026-03-01T12:00:00Z'
    Then the workflow should run 1 times
    When the runtime is started again at '2026-03-01T13:05:00Z'
    Then the workflow should run 2 times
    And execution 2 should complete with output:
    """yaml
    at: '2026-03-01T13:05'
    """

  Scenario: What was started is not started again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: kit, name: cron, version: '1.0.0' }
    schedule: { cron: '0 * * * *' }
    do:
      - show: { set: { at: '${ $workflow.startedAt.iso8601[0:16] }' } }
    """
    And the clock says '2026-03-01T11:59:40Z'
    When the workflow is scheduled
    And the clock says '2026-03-01T12:00:00Z'
    Then the workflow should run 1 times
    When the runtime is started again at '2026-03-01T12:00:30Z'
    Then the workflow should run 1 times
