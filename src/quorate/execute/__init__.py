"""The only scheduler: observe hosts, walk the plan, keep the state folder."""
