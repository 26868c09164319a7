"""From outcomes and labels to scores: metrics, intervals, breakdowns. The only step that is given labels."""
