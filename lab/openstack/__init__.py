"""What runs inside the lab's OpenStack processes: a launcher and three drivers without hardware."""
